variable "IMAGES" {
  default = {
    web    = { port = 80, stages = ["build", "run"] }
    worker = { port = 0, stages = ["run"] }
  }
}
target "default" {
  labels = merge({ for name, image in IMAGES : "port.${name}" => image.port if image.port > 0 }, { all = join(",", keys(IMAGES)) })
  args   = { STAGES = join(" ", distinct(flatten([for image in values(IMAGES) : image.stages]))) }
}
