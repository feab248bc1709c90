group "default" {
  targets = ["web", "worker"]
}
group "some" {
  targets = ["web"]
}
target "web" {}
target "worker" {}
target "other" {}
