variable "NAMES" {
  default = ["p", "q"]
}
variable "ON" {
  default = true
}
target "default" {
  args = {
    IF      = "a%{ if ON }b%{ else }c%{ endif }d"
    FOR     = "%{ for i, n in NAMES }${i}=${n};%{ endfor }"
    STRIP   = "a  %{~ if ON ~}  b  %{~ endif ~}  c"
    ESCAPED = "$${ON} %%{if} $5 %x"
    UNICODE = "\u00e9 \U0001F600 \t\"q\" \\"
    HEREDOC = <<EOT
  one
${upper("two")}
EOT
    FLUSH   = <<-EOT
      %{ for n in NAMES ~}
      item ${n}
        deeper
      %{ endfor ~}
      last
    EOT
  }
}
