variable "X" {
  default = "a"
}
target "default" {
  args = { X = X, FROM = "a" }
  tags = ["a"]
}
group "g" {
  targets = ["default"]
}
