target "base" {
  dockerfile   = "base.Dockerfile"
  tags         = ["base"]
  entitlements = ["network.host"]
  platforms    = ["linux/amd64", "linux/arm64"]
}
target "middle" {
  contexts = { base = "target:base" }
}
target "app" {
  contexts  = { middle = "target:middle", base = "target:base" }
  platforms = ["linux/amd64", "linux/arm64"]
  output    = ["type=image"]
}
