import time
from repos import JobRepository, TrackRepository
def test_it(client, app):
    for n in range(60):
        JobRepository().create(job_id=f"j{n:02}", prompt=f"song {n}", metadata={"genre": "Folk" if n % 2 else "Ambient"}, takes=8 if n%3==0 else 1)
        for t in range(8 if n%3==0 else 1):
            TrackRepository().create(track_id=f"t{n:02}-{t}", job_id=f"j{n:02}", duration=95+n, take=t+1, seed=n*10+t, file_path_wav="x.wav", starred=n%5==0 and t==2)
    for p in ("/tracks", "/tracks?starred=true", "/tracks?sort=title&q=song", "/tracks/t03-1", "/", "/jobs/j03"):
        client.get(p)
        t=time.perf_counter(); r=client.get(p); d=time.perf_counter()-t
        print(p, r.status_code, len(r.data), round(1000*d))
        if r.status_code != 200: print(r.text[-600:])
    __import__("pathlib").Path("/tmp/tracks.html").write_text(client.get("/tracks").text)
    import cProfile, pstats
    pr=cProfile.Profile(); pr.enable(); client.get("/tracks"); pr.disable()
    pstats.Stats(pr).sort_stats("tottime").print_stats(22)
