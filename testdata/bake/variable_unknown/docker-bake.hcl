variable "VERSION" {
  default = "1"
}
target "default" {
  args = { A = VERSON }
}
