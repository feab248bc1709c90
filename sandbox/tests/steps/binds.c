/* Binds sockets as 32-bit programs do, by both of their calls, and prints a letter for each. */
static int call(int number, int a, int b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
void _start(void) {
  static const char first[110] = "\1\0/c/first", second[110] = "\1\0/c/second";
  char out[8];
  int n = 0;
  unsigned args[3] = {call(359, 1, 1, 0), (unsigned)first, 110};
  out[n++] = call(102, 2, (int)args, 0) == 0 ? 'y' : 'n';
  out[n++] = call(102, 2, (int)args, 0) == -98 ? 't' : '?';
  out[n++] = call(361, call(359, 1, 1, 0), (int)second, 110) == 0 ? 'y' : 'n';
  out[n++] = call(102, 2, 0, 0) == -14 ? 'f' : '?';
  out[n++] = '\n';
  call(4, 1, (int)out, n);
  call(1, 0, 0, 0);
}
