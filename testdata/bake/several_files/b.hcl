variable "X" {
  default = "b"
}
target "default" {
  args = { FROM = "b" }
}
group "g" {
  targets = ["other"]
}
target "other" {
  tags = target.default.tags
}
