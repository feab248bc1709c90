# On a machine of a cloud a build says that its steps reach the services there for machines, unless they have another network.
# ECS tells its tasks where they are by this variable.
printf 'FROM base\nRUN true\n' > Dockerfile
build() {
  ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x \
    "$WYTHE" --progress=plain build --no-cache --build-context base=oci-layout://"$BASE" "$@" . 2> told
}
build
head -n 2 told | tail -n 1 | grep '^note: .*169\.254\.169\.254.*Amazon ECS.*--network=none'
build --network=host
grep -q '169\.254\.169\.254' told
build --isolation=single-id
grep -q '169\.254\.169\.254' told
for network in none allow:example.org; do
  build --network=$network
  fails grep '169\.254\.169\.254' told
done
printf '{"target": {"default": {"contexts": {"base": "oci-layout://%s"}}}}' "$BASE" > bake.json
ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x "$WYTHE" --progress=plain bake --no-cache -f bake.json 2> told
[ "$(grep -c '169\.254\.169\.254' told)" = 1 ]
# In a chroot the first line has it (places.py).
