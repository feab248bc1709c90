variable "TAG" {
  default = TAG
}
target "default" {
  args = { TAG = TAG }
}
