target "docker-metadata-action" {}
target "build" {
  inherits  = ["docker-metadata-action"]
  platforms = ["linux/amd64"]
}
