variable "LIST" {
  default = [{ name = "a", on = true }, { name = "b", on = false }]
}
target "default" {
  args = {
    ADD      = 0.1 + 0.2
    MUL      = 3 * -2
    DIV      = 7 / 2
    MOD      = -3 % 2
    BIG      = 123456789012345678901234567890 + 1
    EXP      = 1e3
    CMP      = 1 < 2 && "2" >= 2 || !true
    EQ       = "a" == "a" && 1 != "1"
    SAME     = ["a"] == split(",", "a")
    COND     = true ? 1 : "x"
    NESTED   = false ? "a" : false ? "b" : "c"
    PAREN    = (1 + 2) * 3
    SPLAT    = join(",", LIST[*].name)
    LEGACY   = join(",", LIST.*.name)
    ONE      = jsonencode("x".*)
    NONE     = jsonencode(null.*)
    FILTER   = join(",", [for one in LIST : one.name if one.on])
    OBJECT   = jsonencode({ for one in LIST : one.name => one.on })
    GROUPED  = jsonencode({ for i, one in ["x", "y", "x"] : one => i... })
    INDEX    = LIST[1].name
    KEY      = { "a-b" = 1 }["a-b"]
    COMPUTED = jsonencode({ (upper("k")) = 1, "q" : 2, plain = 3 })
    SPREAD   = max([1, 5, 3]...)
    MIXED    = jsonencode([1, "a", true, null, { b = [] }])
  }
}
