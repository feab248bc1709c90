#!/bin/sh
# Writes a C program of 40 files into the directory $1/src.
set -eu
out=$1/src
mkdir -p "$out"
{
  echo '#include <stdio.h>'
  for i in $(seq 1 38); do echo "int part$i(void);"; done
  echo 'int main(void) { int sum = 0;'
  for i in $(seq 1 38); do echo "sum += part$i();"; done
  printf '%s\n' 'printf("hello from %d parts, sum %d\n", 38, sum); return 0; }'
} > "$out/main.c"
for i in $(seq 1 38); do echo "int part$i(void) { return $i; }" > "$out/part$i.c"; done
{
  echo 'objects := $(patsubst %.c,%.o,$(sort $(wildcard *.c)))'
  echo 'greet: $(objects)'
  printf '\t$(CC) -static -o $@ $^\n'
} > "$out/Makefile"
