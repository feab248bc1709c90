target "base" {
  tags       = ["me/base"]
  args       = { VERSION = 3 }
  dockerfile = "base.Dockerfile"
  output     = ["type=image,name=x"]
}
group "all" {
  targets = ["base"]
}
target "default" {
  tags = concat(target.base.tags, ["me/app:${target.base.args.VERSION}"])
  args = {
    FIRST = target.base.tags[0]
    FILE  = target.base.dockerfile
    NONE  = target.base.context == null
    TYPE  = target.base.output[0].type
    GROUP = join(",", group.all.targets)
  }
}
