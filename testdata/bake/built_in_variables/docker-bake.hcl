target "default" {
  args = {
    PLATFORM = BAKE_LOCAL_PLATFORM
    CONTEXT  = BAKE_CMD_CONTEXT
  }
}
