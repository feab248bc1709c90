target "default" {
  pull = 1
}
