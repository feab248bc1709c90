variable "TAG" {
  default = "base"
}
target "default" {
  tags   = ["app:${TAG}"]
  args   = { A = 1, B = 2 }
  labels = { l = "base" }
}
