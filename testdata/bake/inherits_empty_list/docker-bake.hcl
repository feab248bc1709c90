target "base" {
  tags      = ["a"]
  platforms = ["linux/amd64"]
}
target "default" {
  inherits  = ["base"]
  tags      = []
  platforms = []
}
