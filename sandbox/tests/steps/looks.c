/* Looks at /work/null as 32-bit programs do, and prints what each call says of it. */
#include <asm/stat.h>
static int call(int number, int a, int b, int c, int d, int e) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
  return result;
}
static char out[512];
static int n;
static void number(unsigned value) {
  char digits[12];
  int i = 0;
  do digits[i++] = '0' + value % 8; while (value /= 8);
  while (i) out[n++] = digits[--i];
  out[n++] = ' ';
}
static void shown(int result, struct stat64 *stat) {
  number(result), number(stat->st_mode), number(stat->st_rdev), number(stat->st_nlink);
  number(stat->st_uid), number(stat->st_gid), number(stat->st_size);
  number(stat->st_ino == stat->__st_ino && stat->st_ino != 0), number(stat->st_mtime > 1000000);
  out[n - 1] = '\n';
}
void _start(void) {
  static struct stat64 stat;
  static unsigned statx[64];
  static const char path[] = "/work/null";
  shown(call(195, (int)path, (int)&stat, 0, 0, 0), &stat);
  stat = (struct stat64){0};
  shown(call(196, (int)path, (int)&stat, 0, 0, 0), &stat);
  stat = (struct stat64){0};
  shown(call(300, -100, (int)"../work/null", (int)&stat, 0x100, 0), &stat);
  number(call(383, -100, (int)path, 0, 0xfff, (int)statx));
  number(statx[7] & 0xffff), number(statx[32]), number(statx[33]), number(statx[5]), number(statx[6]);
  out[n - 1] = '\n';
  number(call(212, (int)path, 9, -1, 0, 0)), number(call(195, (int)path, (int)&stat, 0, 0, 0));
  number(stat.st_uid), number(stat.st_gid), number(-call(195, (int)"/none", (int)&stat, 0, 0, 0));
  number(-call(195, (int)path, 16, 0, 0, 0));
  out[n - 1] = '\n';
  call(4, 1, (int)out, n, 0, 0);
  call(1, 0, 0, 0, 0, 0);
}
