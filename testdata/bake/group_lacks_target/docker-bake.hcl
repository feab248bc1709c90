group "default" {
  targets = ["web", "missing"]
}
target "web" {}
