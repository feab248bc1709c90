# Two jobs that write one cache of a server of the remote execution API at the same time, twenty times: nothing of either is lost.
. "$CASES/../buildgrid.sh"
. "$CASES/../at_once.sh"
nothing_is_lost reapi "type=reapi,url=grpc://127.0.0.1:$port/team"
