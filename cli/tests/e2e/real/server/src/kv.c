/* A store of keys and values that reads commands and answers them, a line each. */
#include <db.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static DB *db;

static void set(char *key, char *value) {
    DBT k = {.data = key, .size = strlen(key)}, v = {.data = value, .size = strlen(value)};
    puts(db->put(db, NULL, &k, &v, 0) ? "ERR" : "OK");
}

static void get(char *key) {
    DBT k = {.data = key, .size = strlen(key)}, v = {0};
    if (db->get(db, NULL, &k, &v, 0))
        puts("(nil)");
    else
        printf("%.*s\n", (int)v.size, (char *)v.data);
}

int main(int argc, char **argv) {
    char line[4096], key[1024], value[1024];
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        printf("kv %s pages %d\n", VERSION, LG_PAGE);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "--whoami")) {
        printf("uid %d gid %d\n", (int)getuid(), (int)getgid());
        return 0;
    }
    if (db_create(&db, NULL, 0) || db->open(db, NULL, "kv.db", NULL, DB_HASH, DB_CREATE, 0600))
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "SET %1023s %1023s", key, value) == 2)
            set(key, value);
        else if (sscanf(line, "GET %1023s", key) == 1)
            get(key);
        else
            puts("ERR");
    }
    return db->close(db, 0);
}
