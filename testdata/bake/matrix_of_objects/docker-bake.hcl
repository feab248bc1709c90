variable "VERSIONS" {
  default = ["3.1", "3.2"]
}
target "app" {
  name = "app-${item.flavour}-${replace(item.version, ".", "-")}"
  matrix = {
    item = flatten([for v in VERSIONS : [for f in ["slim", "full"] : { version = v, flavour = f }]])
  }
  args = {
    VERSION = item.version
    SLIM    = item.flavour == "slim"
  }
}
target "default" {
  contexts = {
    slim = "target:app-slim-3-1"
  }
}
