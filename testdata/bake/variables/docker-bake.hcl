# Variables of every type that defaults have, used in every place.
variable "REGISTRY" {
  default = "ghcr.io/me"
}
variable "TAG" {
  default     = "latest"
  description = "The tag of all images"
}
variable "DEBUG" {
  default = false
}
variable "JOBS" {
  default = 4
}
variable "EMPTY" {}
variable "NOTHING" {
  default = null
}
variable "TAGS" {
  default = ["a", "b"]
}
variable "MAP" {
  default = { one = 1, two = "2" }
}
group "default" {
  targets = ["app"]
}
target "app" {
  tags = [for tag in TAGS : "${REGISTRY}/app:${tag}-${TAG}"]
  args = {
    DEBUG   = DEBUG
    JOBS    = JOBS + 1
    EMPTY   = "<${EMPTY}>"
    NOTHING = NOTHING
    ONE     = MAP.one
    TWO     = MAP["two"]
    LEVEL   = DEBUG ? "debug" : "info"
  }
}
