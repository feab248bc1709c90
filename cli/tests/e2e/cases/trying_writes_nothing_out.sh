# Before its first step a build tries whether layers can be stacked. An overlay that is not volatile has everything written
# out that waits for the disk, of everybody on the machine, when it goes: that of the trial is one, as those of steps are.
command -v strace > /dev/null || skip "no strace"
printf 'FROM base\nRUN true\n' > Dockerfile
strace -f -qq -e trace=fsconfig -o calls \
  "$WYTHE" --store own build --isolation=single-id --build-context base=oci-layout://"$BASE" .
n_changed=$(grep -c '"upperdir"' calls) || skip "this kernel is told of layers in another way"
[ "$n_changed" -ge 2 ]
[ "$(grep -c '"volatile"' calls)" = "$n_changed" ]
