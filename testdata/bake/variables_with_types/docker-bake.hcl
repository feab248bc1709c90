variable "NAMES" {
  type    = list(string)
  default = ["x"]
}
variable "PORTS" {
  type = set(number)
}
variable "LIMITS" {
  type    = map(number)
  default = { a = "1" }
}
variable "RAW" {
  type = list(string)
}
variable "OBJECT" {
  type    = object({ name = string, size = number })
  default = { name = "n", size = "3" }
}
variable "UNSET" {
  type = string
}
variable "COUNT" {
  type    = number
  default = "7"
}
target "default" {
  args = {
    NAMES  = join("|", NAMES)
    PORTS  = jsonencode(PORTS)
    LIMITS = jsonencode(LIMITS)
    RAW    = jsonencode(RAW)
    OBJECT = "${OBJECT.name}${OBJECT.size}"
    UNSET  = UNSET == null
    COUNT  = COUNT + 1
  }
}
