target "default" {
  description       = "All of it"
  annotations       = ["index:a=b", "c=${upper("d")}"]
  attest            = ["type=provenance,mode=max", { type = "sbom", disabled = true }]
  context           = "./app/../app"
  contexts = {
    src  = "../src"
    base = "docker-image://alpine:3.20"
    git  = "https://github.com/docker/buildx.git"
    gone = ""
  }
  dockerfile        = "docker/Dockerfile"
  dockerfile-inline = "FROM scratch\nLABEL a=$${b}"
  args              = { A = 1, B = true, C = null, D = 1.50, E = "", F = "$${x}" }
  labels            = { x = null, y = 2 }
  tags              = ["a", "", "b", "a"]
  cache-from        = ["", "user/app:c", "type=local,src=x", { type = "gha", scope = "s" }]
  cache-to          = ["type=registry,ref=r,mode=max"]
  target            = "prod"
  secret            = ["id=a,src=docker-bake.hcl", { id = "HOME" }, "", "type=env,id=d,src=HOME", "id=e,env=HOME"]
  ssh               = []
  platforms         = ["", "linux/amd64", "linux/arm64"]
  output            = ["", "out", { type = "image", name = "a,b", push = true }, "type=docker"]
  pull              = true
  no-cache          = "false"
  network           = "host"
  no-cache-filter   = ["s", "s", "t"]
  shm-size          = "128m"
  ulimits           = ["nofile=1024:2048"]
  call              = "build"
  entitlements      = ["security.insecure"]
  extra-hosts       = { h = "1.2.3.4" }
}
