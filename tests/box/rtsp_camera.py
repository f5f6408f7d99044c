"""An IP camera on loopback: serves /camera over RTSP, H.264 with AAC, to `viewer` with the password `secret`.

usage: rtsp_camera.py PORT
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

MEDIA = (
    "( videotestsrc is-live=true pattern=smpte horizontal-speed=4"
    " ! video/x-raw,width=640,height=360,framerate=30/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1"
    " audiotestsrc is-live=true freq=440 volume=0.1 ! audio/x-raw,rate=48000,channels=2"
    " ! avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)

Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])

viewer = GstRtspServer.RTSPToken()
viewer.set_string("media.factory.role", "viewer")
auth = GstRtspServer.RTSPAuth()
auth.add_basic(GstRtspServer.RTSPAuth.make_basic("viewer", "secret"), viewer)
server.set_auth(auth)

permissions = GstRtspServer.RTSPPermissions()
permissions.add_permission_for_role("viewer", "media.factory.access", True)
permissions.add_permission_for_role("viewer", "media.factory.construct", True)
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch(MEDIA)
factory.set_permissions(permissions)
server.get_mount_points().add_factory("/camera", factory)

server.attach(None)
GLib.MainLoop().run()
