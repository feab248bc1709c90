# SOURCE_DATE_EPOCH may name what has a time of its own: a commit, or what a server dates.
command -v git > /dev/null || skip "git is not installed"
command -v python3 > /dev/null || skip "python3 is not installed"
mkdir served context
git init -q work
echo hi > work/file
git -C work add file
GIT_COMMITTER_DATE='1500000000 +0000' git -C work -c user.name=a -c user.email=a@b commit -qm one
git clone -q --bare work served/repository.git
git -C served/repository.git update-server-info
tar -cf served/files.tar -C work file
touch -d @1600000000 served/files.tar
port=$("$CASES/../ports" 1)
python3 -m http.server "$port" --bind 127.0.0.1 --directory served > server.log 2>&1 &
server=$!
trap 'kill $server' EXIT
until "$CASES/../listening" "$port"; do kill -0 $server; sleep 0.1; done

at=http://127.0.0.1:$port
cat > context/Dockerfile <<X
FROM scratch AS commit
ADD $at/repository.git /
FROM scratch AS files
ADD $at/files.tar /
FROM scratch
COPY --from=commit /file /
X
check() {
  "$WYTHE" build -t dated --build-arg SOURCE_DATE_EPOCH="$1" --build-context repository="$at/repository.git" context
  "$WYTHE" inspect --raw config dated | grep -q "\"created\":\"$2"
}
check commit 2017-07-14T02:40:00Z
check repository 2017-07-14T02:40:00Z
check files 2020-09-13T12:26:40Z
