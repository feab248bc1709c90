FR\
OM scratch
ENV A=1 \  
 B=2
LABEL a=1 \
 b=2 \
 # c=3 \
 d=4
ENV T=a\\
ENV U=2
CMD [ \
"a", \
# c
"b" ]
