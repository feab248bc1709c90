variable "LEVEL" {
  default = 2
  validation {
    condition     = LEVEL > 0
    error_message = "LEVEL has to be positive"
  }
  validation {
    condition     = contains([1, 2, 3], LEVEL)
    error_message = "LEVEL is 1, 2 or 3"
  }
}
target "default" {
  args = { LEVEL = LEVEL }
}
