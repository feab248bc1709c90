target "base" {
  args = { A = 1, B = 1, C = 1, D = 1 }
}
target "left" {
  inherits = ["base"]
  args     = { B = 2, C = 2 }
}
target "right" {
  inherits = ["base"]
  args     = { C = 3 }
}
target "default" {
  inherits = ["left", "right"]
  args     = { D = 4 }
}
