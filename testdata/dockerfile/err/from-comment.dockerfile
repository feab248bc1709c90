FROM scratch # c
