# Steps that run at the same time with one cache mount reach none of each other's sockets in it, so
# that none is handed a file of another to write to when that has ended. Each reaches its own.
command -v gcc >/dev/null || skip "no gcc"
cat > pass.c <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// pass give SOCKET FILE READY: once READY is there, opens FILE and hands it over. pass take SOCKET
// READY: takes a file, waits until its giver is gone, and writes to it.
int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, argv[2]);
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  char byte = 'x', space[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (strcmp(argv[1], "give") == 0) {
    int fd = open(argv[3], O_RDWR);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    for (int i = 0; access(argv[4], F_OK); i++) {
      if (i == 200) return 2;
      usleep(50000);
    }
    if (connect(s, (void *)&address, sizeof address)) return perror("connecting"), 3;
    return sendmsg(s, &message, 0) != 1;
  }
  unlink(argv[2]);
  if (bind(s, (void *)&address, sizeof address) || listen(s, 1)) return perror("binding"), 4;
  struct timeval patience = {3, 0};
  setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  close(open(argv[3], O_CREAT | O_WRONLY, 0666));
  int fd, peer = accept(s, 0, 0);
  if (peer < 0) return puts("nobody came"), 0;
  if (recvmsg(peer, &message, 0) != 1) return 5;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  read(peer, &byte, 1);
  sleep(1);
  write(fd, "EVIL", 4);
  fchmod(fd, 0777);
  return 0;
}
C
gcc -O1 -static -o pass pass.c 2>gcc.log || skip "gcc cannot link statically"

# What differs between the runs is what SHARING and the cache are called.
recipe() {
  cat > Dockerfile <<DOCKERFILE
FROM base AS giver
COPY pass /pass
RUN echo good > /f
RUN --mount=type=cache,target=/c,id=$1$2 echo $1 && (/pass give /c/s /f /c/ready; echo "gave \$?")
RUN --network=none cat /f; stat -c %a /f
FROM base AS taker
COPY pass /pass
RUN --mount=type=cache,target=/c,id=$1$3 /pass take /c/s /c/ready; echo $1
FROM scratch
COPY --from=giver /f /f
COPY --from=taker /pass /pass
DOCKERFILE
}

recipe shared "" ""
"$WYTHE" build --progress=plain --build-context base=oci-layout://"$BASE" -o out . 2>err
grep -q "connecting: No such file" err
grep -q "gave 3" err
grep -q "nobody came" err
[ "$(cat out/f)" = good ]
[ "$(stat -c %a out/f)" = 644 ]
"$WYTHE" verify
