#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    printf("hello from %s, as user %d\n", argc > 1 ? argv[1] : "nowhere", (int)getuid());
    return 0;
}
