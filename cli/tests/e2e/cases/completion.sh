# Real shells complete stages, targets, names of images and flags; names with colons, and values behind an equals sign, too.
mkdir -p bin project
ln -sf "$WYTHE" bin/wythe
export PATH="$PWD/bin:$PATH" HISTFILE=/dev/null HOME=$PWD
printf 'FROM scratch AS base\nCOPY . /\nFROM base AS release\n' > project/Dockerfile
printf 'group "everything" { targets = ["app"] }\ntarget "app" { context = "project" }\n' > docker-bake.hcl
wythe build -q -t completed.example/team/app:v1 project > /dev/null

complete() { python3 "$CASES/../complete.py" "$1" "$PWD/script.$1" "$2"; }
# completes SHELL LINE WORDS: what a tab makes of a line.
completes() {
  found=$(complete "$1" "$2")
  echo "$1: $2: $found"
  case $found in *"$3"*) ;; *) return 1 ;; esac
}
tried=
for shell in bash zsh fish; do
  wythe completion "$shell" > "script.$shell"
  command -v "$shell" > /dev/null || continue
  tried="$tried $shell"
  completes "$shell" 'wythe build project --target rel' '<build><project><--target><release>'
  completes "$shell" 'wythe build project --target=rel' '<--target=release>'
  completes "$shell" 'wythe bake every' '<bake><everything>'
  completes "$shell" 'wythe run completed.example/te' '<run><completed.example/team/app:v1>'
  completes "$shell" 'wythe push completed.example/team/app:' '<push><completed.example/team/app:v1>'
  completes "$shell" 'wythe build --metadata-f' '<build><--metadata-file>'
done
echo "tried:$tried"

# Nothing is made, and nobody waited for.
wythe complete-words bash -- --store "$PWD/none" run '' > out
[ ! -e none ]
[ ! -s out ]
wythe complete-words bash -- build --target '' > out
[ ! -s out ]
wythe complete-words fish -- build -f project/Dockerfile --target '' | grep -qx base
