target "_common" {
  args = {
    VERSION = "1"
    SHARED  = "common"
  }
  labels = {
    "org.opencontainers.image.vendor" = "me"
  }
  tags            = ["common"]
  cache-from      = ["user/app:cache"]
  no-cache-filter = ["deps"]
  platforms       = ["linux/amd64"]
  secret          = ["id=one,env=ONE"]
  ulimits         = ["nofile=1024:1024"]
  entitlements    = ["security.insecure"]
  annotations     = ["a=b"]
  attest          = ["type=provenance,mode=max", "type=sbom"]
  output          = ["type=image,name=common"]
}
target "_release" {
  args = {
    SHARED = "release"
    EXTRA  = "yes"
  }
  platforms  = ["linux/amd64", "linux/arm64"]
  cache-from = ["user/app:cache", "user/app:release"]
  cache-to   = ["type=inline"]
  attest     = ["type=provenance,mode=min"]
}
target "app" {
  inherits = ["_common", "_release"]
  tags     = ["app"]
  args = {
    VERSION = "2"
    EXTRA   = null
  }
  no-cache-filter = ["deps", "build"]
  secret          = ["id=two,env=TWO"]
  annotations     = ["c=d"]
}
group "default" {
  targets = ["app"]
}
