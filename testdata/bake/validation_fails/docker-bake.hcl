variable "LEVEL" {
  default = 9
  validation {
    condition     = LEVEL < 4
    error_message = "LEVEL is ${LEVEL}"
  }
}
target "default" {}
