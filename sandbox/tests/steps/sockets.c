/* Opens sockets as 32-bit programs of older C libraries do, and prints a letter for each. */
static int call(int number, int a, int b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}
void _start(void) {
  static const unsigned families[][3] = {{1, 1, 0}, {2, 2 | 02000000, 0}, {16, 3, 0}, {38, 5, 0}, {40, 1, 0}, {77, 1, 0}, {2, 3, 1}};
  char out[32];
  int n = 0;
  for (int i = 0; i < 7; i++) {
    int made = call(102, 1, (int)families[i], 0);
    out[n++] = made >= 3 ? '0' + made : made == -1 ? 'P' : made == -97 ? 'F' : '?';
  }
  int pair[2];
  unsigned args[4] = {1, 1, 0, (unsigned)pair};
  out[n++] = call(102, 8, (int)args, 0) == 0 ? 'y' : 'n';
  out[n++] = call(102, 1, 0, 0) == -14 ? 'f' : '?';
  out[n++] = '\n';
  call(4, 1, (int)out, n);
  call(1, 0, 0, 0);
}
