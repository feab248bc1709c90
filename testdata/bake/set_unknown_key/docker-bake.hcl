target "app" {
  tags      = ["app"]
  platforms = ["linux/amd64"]
  args      = { A = 1, B = 2 }
  output    = ["type=image,name=app", "type=local,dest=out"]
  attest    = ["type=sbom"]
}
target "app-test" {
  inherits = ["app"]
  target   = "test"
}
target "tool" {
  output = ["type=registry"]
}
