/* Sockets as programs use them. Each command prints what it found, a line. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un address(const char *path) {
  struct sockaddr_un made = {.sun_family = AF_UNIX};
  strncpy(made.sun_path, path, sizeof made.sun_path);
  return made;
}

static const char *said(int result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

static int unix_socket(int kind) { return socket(AF_UNIX, kind | SOCK_CLOEXEC, 0); }

static int bound(int s, const char *path) {
  struct sockaddr_un to = address(path);
  return bind(s, (void *)&to, sizeof to);
}

static int connected(const char *path) {
  struct sockaddr_un to = address(path);
  return connect(unix_socket(SOCK_STREAM), (void *)&to, sizeof to);
}

static int in_thread(void *path) {
  /* Files of its own: what was the first descriptor is another socket here. */
  int s = unix_socket(SOCK_STREAM);
  dup2(s, 10);
  printf("%s ", said(bound(10, path)));
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argv[1], *path = argv[2];
  setvbuf(stdout, 0, _IONBF, 0);
  int s = unix_socket(SOCK_STREAM);
  if (!strcmp(what, "serve")) { /* a server and its client; the address is what was asked for */
    struct sockaddr_un got;
    socklen_t length = sizeof got;
    printf("%s ", said(bound(s, path)));
    getsockname(s, (void *)&got, &length);
    printf("%s ", strncmp(got.sun_path, path, 108) ? got.sun_path : "same");
    printf("%s ", said(listen(s, 1)));
    printf("%s\n", said(connected(path)));
  } else if (!strcmp(what, "bind")) {
    printf("%s\n", said(bound(s, path)));
  } else if (!strcmp(what, "connect")) {
    printf("%s\n", said(connected(path)));
  } else if (!strcmp(what, "twice")) { /* a socket has one address */
    printf("%s ", said(bound(s, path)));
    printf("%s\n", said(bound(s, argv[3])));
  } else if (!strcmp(what, "wait")) { /* serves whoever comes within a while */
    printf("%s\n", said(bound(s, path)));
    listen(s, 1);
    close(open(argv[3], O_CREAT | O_WRONLY, 0600));
    for (int i = 0; i < 1000 && access(argv[4], F_OK); i++) usleep(10000);
  } else if (!strcmp(what, "datagram")) {
    int d = unix_socket(SOCK_DGRAM);
    struct sockaddr_un to = address(path);
    printf("%s ", said(bound(d, path)));
    printf("%s\n", said(sendto(s = unix_socket(SOCK_DGRAM), "x", 1, 0, (void *)&to, sizeof to)));
  } else if (!strcmp(what, "full")) { /* 108 bytes and no zero */
    char long_path[110];
    int n = snprintf(long_path, sizeof long_path, "%s/", path);
    memset(long_path + n, 'x', 108 - n);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, long_path, 108);
    printf("%s ", said(bind(s, (void *)&to, sizeof to)));
    listen(s, 1);
    printf("%s ", said(connect(unix_socket(SOCK_STREAM), (void *)&to, sizeof to)));
    printf("%s\n", said(bind(unix_socket(SOCK_STREAM), (void *)&to, sizeof to + 1)));
  } else if (!strcmp(what, "nameless")) { /* abstract, chosen by the kernel, too short */
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0name"};
    struct sockaddr_un got;
    socklen_t length = sizeof got;
    printf("%s ", said(bind(s, (void *)&to, 7)));
    printf("%s ", said(bind(s = unix_socket(SOCK_STREAM), (void *)&to, 2)));
    getsockname(s, (void *)&got, &length);
    printf("%d ", (int)length);
    printf("%s\n", said(bind(unix_socket(SOCK_STREAM), (void *)&to, 1)));
  } else if (!strcmp(what, "wrong")) { /* no socket, no descriptor, no memory, another family */
    struct sockaddr_un to = address(path);
    printf("%s ", said(bind(open("/", O_RDONLY), (void *)&to, sizeof to)));
    printf("%s ", said(bind(77, (void *)&to, sizeof to)));
    printf("%s ", said(bind(s, (void *)8, sizeof to)));
    to.sun_family = AF_INET;
    printf("%s\n", said(bind(s, (void *)&to, sizeof to)));
  } else if (!strcmp(what, "port")) { /* other families; low ports are for who may */
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(path))};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6};
    printf("%s ", said(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to)));
    printf("%s\n", said(bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&to6, sizeof to6)));
  } else if (!strcmp(what, "thread")) {
    static char stack[65536];
    dup2(s, 10);
    int flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD;
    clone(in_thread, stack + sizeof stack, flags, (void *)path);
    usleep(200000);
    printf("%s\n", said(bound(10, argv[3])));
  } else if (!strcmp(what, "race")) { /* a directory on the way changes places with a link */
    if (fork() == 0)
      for (;;) syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, argv[3], 2 /* exchange */);
    char name[108];
    int n_real = 0;
    for (int i = 0; i < atoi(argv[5]); i++) {
      struct stat made;
      snprintf(name, sizeof name, "%s/s%d", path, i);
      bound(s = unix_socket(SOCK_STREAM), name);
      close(s);
      snprintf(name, sizeof name, "%s/s%d", argv[4], i);
      n_real += !lstat(name, &made) && !S_ISLNK(made.st_mode);
    }
    printf("%d\n", n_real);
    kill(0, 9);
  } else if (!strcmp(what, "many")) {
    struct timespec from, to;
    struct sockaddr_in any = {.sin_family = AF_INET};
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < atoi(path); i++) {
      int inet = socket(AF_INET, SOCK_STREAM, 0);
      if (bind(inet, (void *)&any, sizeof any)) return 1;
      close(inet);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%ld us\n", (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
  }
  return argc < 3;
}
