/* What a program sees and does of users, a word for each question. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <fcntl.h>

static void who(const char *name) {
    uid_t r, e, s;
    gid_t groups[9];
    getresuid(&r, &e, &s);
    int count = getgroups(9, groups);
    printf("%s %d %d %d %d %d", name, r, e, s, getgid(), getegid());
    for (int i = 0; i < count; i++) printf(" +%d", groups[i]);
    printf("\n");
    fflush(stdout);
}

/* Asks once whoever made this process is gone. */
static void orphan(const char *name, uid_t before, uid_t after) {
    pid_t child = fork();
    if (child) { waitpid(child, 0, 0); return; }
    if (setuid(before)) _exit(1);
    int ends[2];
    char byte;
    if (pipe(ends)) _exit(1);
    pid_t middle = getpid();
    if (!fork()) {
        close(ends[1]);
        while (read(ends[0], &byte, 1) > 0) {}
        while (getppid() == middle) usleep(1000);
        who(name);
        _exit(0);
    }
    if (setuid(after)) _exit(1);
    _exit(0);
}

int main(int count, char **words) {
    const char *word = count > 1 ? words[1] : "ids";
    if (!strcmp(word, "ids")) who("ids");
    if (!strcmp(word, "drop")) {
        gid_t groups[] = {9, 4};
        if (setgroups(2, groups) || setgid(8) || setuid(7)) return 1;
        who("dropped");
        int user = setuid(0), group = setgroups(0, 0);
        printf("%d %d %d\n", user, group, errno == EPERM);
    }
    if (!strcmp(word, "keep")) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct sets[2];
        if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(7, 7, 7) || !setgid(8)) return 1;
        if (syscall(SYS_capget, &header, sets)) return 1;
        printf("%x %x\n", sets[0].effective, sets[0].permitted);
        sets[0].effective = 1 << CAP_SETGID;
        if (syscall(SYS_capset, &header, sets) || setresgid(8, 8, 8) || setgroups(0, 0)) return 1;
        who("kept");
        fflush(stdout);
        execl(words[0], words[0], "sets", (char *)0);
    }
    if (!strcmp(word, "sets")) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct sets[2];
        if (syscall(SYS_capget, &header, sets)) return 1;
        printf("%x %x %d\n", sets[0].effective, sets[0].permitted, setgid(0));
    }
    if (!strcmp(word, "back")) {
        if (seteuid(7)) return 1;
        who("lent");
        if (seteuid(0)) return 1;
        who("back");
    }
    if (!strcmp(word, "orphans")) {
        orphan("before", 0, 7);
        usleep(200000);
        orphan("after", 7, 7);
        usleep(200000);
    }
    if (!strcmp(word, "limits")) {
        struct rlimit limit = {1, 1};
        if (setrlimit(RLIMIT_LOCKS, &limit) || getrlimit(RLIMIT_LOCKS, &limit)) return 1;
        printf("%d\n", limit.rlim_cur == RLIM_INFINITY);
        who("limited");
    }
    if (!strcmp(word, "peer")) {
        int ends[2];
        struct ucred peer;
        socklen_t length = sizeof peer;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 1;
        if (getsockopt(ends[0], SOL_SOCKET, SO_PEERCRED, &peer, &length)) return 1;
        printf("%d %d %d\n", peer.pid == getpid(), peer.uid, peer.gid);
    }
    if (!strcmp(word, "attributes")) {
        char names[999] = "";
        long length = llistxattr(words[2], names, sizeof names);
        printf("%ld %s\n", length, names);
        printf("%d\n", setxattr(words[2], "user.wythe.owner", "0:0", 3, 0));
        printf("%d\n", setxattr(words[2], "user.wythe.device", "c 1:3", 5, 0));
        printf("%d\n", setxattr(words[2], "user.other", "x", 1, 0));
    }
    if (!strcmp(word, "opened")) {
        struct stat found;
        int file = open("made", O_CREAT | O_RDWR | O_EXCL, 0640);
        if (file < 0 || fstat(file, &found)) return 1;
        printf("%d:%d %o", found.st_uid, found.st_gid, found.st_mode);
        if (fchown(file, -1, words[2] ? 50 : 0) || fstat(file, &found)) printf(" refused");
        printf(" %d:%d\n", found.st_uid, found.st_gid);
        printf("%d\n", open(".", O_TMPFILE | O_RDWR, 0600) >= 0);
    }
    return 0;
}
