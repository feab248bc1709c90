"""A proxy before a server of the remote execution API that has a bad day: faulty_grpc.py PORT_FILE TO_PORT MODE_FILE, by a
Python that has buildgrid.

The methods that are called are noted in PORT_FILE.log. MODE_FILE is read for each call, and says what is done with it:
  sound      it is passed on
  slow       nothing is ever answered
  full       what is written is refused with RESOURCE_EXHAUSTED
  denied     everything is refused with PERMISSION_DENIED
  busy       everything is refused with RESOURCE_EXHAUSTED
  away       everything is refused with UNAVAILABLE
  lying      a byte of every blob that is read is another
  truncated  of every blob that is read half comes, as though that were all
  reset      of every blob that is read half comes, and then the call breaks
"""
import concurrent.futures
import os
import sys
import time

import grpc
from buildgrid._protos.build.bazel.remote.execution.v2 import remote_execution_pb2
from buildgrid._protos.google.bytestream import bytestream_pb2

port_file, to_port, mode_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
WRITES = ("BatchUpdateBlobs", "Write", "UpdateActionResult")
REFUSALS = {
    "denied": grpc.StatusCode.PERMISSION_DENIED,
    "busy": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "away": grpc.StatusCode.UNAVAILABLE,
}
LIMIT = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
server_channel = grpc.insecure_channel(f"127.0.0.1:{to_port}", options=LIMIT)


def changed(data, mode):
    if mode == "lying" and data:
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
    return data[:len(data) // 2]


def of_batch(answer, mode):
    batch = remote_execution_pb2.BatchReadBlobsResponse.FromString(answer)
    for one in batch.responses:
        one.data = changed(one.data, mode)
    return batch.SerializeToString()


def of_stream(answers, mode, context):
    pieces = [bytestream_pb2.ReadResponse.FromString(answer).data for answer in answers]
    for piece in pieces[:max(1, len(pieces) // 2)] if mode != "lying" else pieces:
        yield bytestream_pb2.ReadResponse(data=changed(piece, mode)).SerializeToString()
    if mode == "reset":
        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was reset")


class Proxy(grpc.GenericRpcHandler):
    def service(self, details):
        def call(requests, context):
            mode, method = open(mode_file).read().strip(), details.method.rsplit("/", 1)[1]
            with open(port_file + ".log", "a") as log:
                log.write(method + "\n")
            if mode == "slow":
                time.sleep(600)
            if mode in REFUSALS:
                context.abort(REFUSALS[mode], mode)
            if mode == "full" and method in WRITES:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room is left")
            try:
                answers = server_channel.stream_stream(details.method)(requests)
                if mode not in ("lying", "truncated", "reset"):
                    yield from answers
                elif method == "BatchReadBlobs":
                    yield from (of_batch(answer, mode) for answer in answers)
                    if mode == "reset":
                        context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was reset")
                elif method == "Read":
                    yield from of_stream(answers, mode, context)
                else:
                    yield from answers
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return grpc.stream_stream_rpc_method_handler(call)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), handlers=[Proxy()], options=LIMIT)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with open(port_file + ".part", "w") as file:
    file.write(str(port))
os.rename(port_file + ".part", port_file)
server.wait_for_termination()
