variable "TAG" {
  default = "latest"
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
variable "DERIVED" {
  default = "from-${TAG}"
}
target "default" {
  args = {
    TAG     = TAG
    DEBUG   = DEBUG
    JOBS    = JOBS
    EMPTY   = EMPTY
    NOTHING = NOTHING
    DERIVED = DERIVED
  }
}
