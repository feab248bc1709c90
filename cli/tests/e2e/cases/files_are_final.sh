# A step that leaves one of its files with a neighbour, to be written to when it has ended, fails;
# and so it is with what a neighbour only reads.
command -v gcc >/dev/null || skip "no gcc"
cat > pass.c <<'C'
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// pass give SOCKET FLAGS FILE: opens FILE and hands it over. pass take SOCKET: takes a file, waits
// until its giver is gone, and writes to it.
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
    int fd = open(argv[4], atoi(argv[3]));
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    for (int i = 0; connect(s, (void *)&address, sizeof address); i++) {
      if (i == 200) return 2;
      usleep(50000);
    }
    return sendmsg(s, &message, 0) != 1;
  }
  unlink(argv[2]);
  if (bind(s, (void *)&address, sizeof address) || listen(s, 1)) return 3;
  int fd, peer = accept(s, 0, 0);
  if (recvmsg(peer, &message, 0) != 1) return 4;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  read(peer, &byte, 1);
  sleep(1);
  write(fd, "EVIL", 4);
  fchmod(fd, 0777);
  return 0;
}
C
gcc -O1 -static -o pass pass.c 2>gcc.log || skip "gcc cannot link statically"

# Flags 2 are those of writing, 0 those of reading.
recipe() {
  cat > Dockerfile <<DOCKERFILE
FROM base AS giver
COPY pass /pass
RUN echo good > /f
RUN --mount=type=cache,target=/c,id=$1 echo $1 && touch /f && /pass give /c/s $2 /f
RUN --network=none cat /f; stat -c %a /f
FROM base AS taker
COPY pass /pass
RUN --mount=type=cache,target=/c,id=$1 /pass take /c/s; echo $1
FROM scratch
COPY --from=giver /f /f
COPY --from=taker /pass /pass
DOCKERFILE
}

recipe write 2
status=0
"$WYTHE" build --build-context base=oci-layout://"$BASE" -t final . 2>err || status=$?
[ "$status" = 1 ]
grep -q "open for writing outside of it" err

recipe read 0
"$WYTHE" build --build-context base=oci-layout://"$BASE" -o out . 2>err
[ "$(cat out/f)" = good ]
[ "$(stat -c %a out/f)" = 644 ]
"$WYTHE" verify
