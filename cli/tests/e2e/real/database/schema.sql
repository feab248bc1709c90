create table words (word text, number int);

insert into words values ('zwölf', 12), ('Ä', 1), ('b', 2);
