function "tag" {
  params = [name, version]
  result = ["me/${name}:${version}", "me/${name}:latest"]
}
function "all" {
  params          = [first]
  variadic_params = rest
  result          = concat([upper(first)], rest)
}
function "label" {
  params = []
  result = { "org.opencontainers.image.version" = VERSION }
}
variable "VERSION" {
  default = "1.2.3"
}
target "default" {
  tags   = tag("app", VERSION)
  labels = label()
  args = {
    ALL = join(",", all("a", "b", "c"))
    ONE = join(",", all("a"))
  }
}
