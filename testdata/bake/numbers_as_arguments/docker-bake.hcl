target "default" {
  args = { NODE = 18, PY = 3.10, BIG = 1000000, NEG = -1 }
}
