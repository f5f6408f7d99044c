#!/usr/bin/env python3
"""What a host does in a LiveKit room.

usage: admin.py URL API_KEY API_SECRET VERB ARGUMENTS
  token ROOM IDENTITY SECONDS     prints a publisher's token that is valid that long (may be negative)
  delete ROOM                     ends the room for everybody
  remove ROOM IDENTITY            throws one participant out
  mute ROOM IDENTITY TRACK true|false MEDIA
  send ROOM TOPIC TEXT            a data message to everybody
  list ROOM                       prints participants and tracks as JSON
"""
import asyncio
import datetime
import json
import sys

from livekit import api


def token(key, secret, room, identity, seconds):
    grants = api.VideoGrants(room_join=True, room=room, can_subscribe=False, can_update_own_metadata=True)
    made = api.AccessToken(key, secret).with_identity(identity).with_grants(grants)
    # The library takes no negative time; one that has passed is minted through the claims' own field.
    made.ttl = datetime.timedelta(seconds=int(seconds))
    return made.to_jwt()


async def find_track(rooms, room, identity, track, media):
    found = await rooms.get_participant(api.RoomParticipantIdentity(room=room, identity=identity))
    wanted = {"audio": 0, "video": 1}[media]
    return next(one.sid for one in found.tracks if one.name == track and one.type == wanted)


async def main():
    url, key, secret, *words = sys.argv[1:]
    async with api.LiveKitAPI(url.replace("ws", "http", 1), key, secret) as lk:
        rooms = lk.room
        match words:
            case ["token", room, identity, seconds]:
                print(token(key, secret, room, identity, seconds))
            case ["delete", room]:
                await rooms.delete_room(api.DeleteRoomRequest(room=room))
            case ["remove", room, identity]:
                await rooms.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))
            case ["mute", room, identity, track, muted, media]:
                sid = await find_track(rooms, room, identity, track, media)
                muted = muted == "true"
                await rooms.mute_published_track(
                    api.MuteRoomTrackRequest(room=room, identity=identity, track_sid=sid, muted=muted)
                )
            case ["send", room, topic, text]:
                await rooms.send_data(api.SendDataRequest(room=room, topic=topic, data=text.encode()))
            case ["list", room]:
                found = await rooms.list_participants(api.ListParticipantsRequest(room=room))
                tracks = lambda p: [{"name": t.name, "type": t.type, "muted": t.muted} for t in p.tracks]
                print(json.dumps([{"who": p.identity, "tracks": tracks(p)} for p in found.participants]))
            case _:
                sys.exit(__doc__)


asyncio.run(main())
