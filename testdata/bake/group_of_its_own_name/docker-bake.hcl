group "default" {
  targets = ["default", "other"]
}
target "default" {
  args = { A = 1 }
}
target "other" {}
