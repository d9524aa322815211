package cluster

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// bigCluster serves pods as a real API server does, in protobuf, each some
// 6 KB with its managed fields.
func bigCluster(t testing.TB, pods int) http.Handler {
	filler := strings.Repeat(`{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{}}`, 60)
	life := int64(3607)
	start := metav1.NewTime(time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC))
	pod := func(i int) *corev1.Pod {
		name := fmt.Sprintf("app-%d-5d4f7c9b8-%05d", i/10, i)
		yes := true
		return &corev1.Pod{
			TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i/500), Name: name, UID: "0000000b-0000-4000-8000-00000000000b", CreationTimestamp: start,
				Labels:          map[string]string{"app": name, "pod-template-hash": "5d4f7c9b8"},
				OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", APIVersion: "apps/v1", Name: fmt.Sprintf("app-%d-5d4f7c9b8", i/10), UID: "x", Controller: &yes}},
				ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: &metav1.FieldsV1{Raw: []byte(filler)}}},
			},
			Spec: corev1.PodSpec{NodeName: fmt.Sprintf("ip-10-0-%d-%d.ec2.internal", i%200, i%50), ServiceAccountName: "default",
				Containers: []corev1.Container{{Name: "main", Image: fmt.Sprintf("111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/app-%d:v1", i/10), Env: []corev1.EnvVar{{Name: "X", Value: strings.Repeat("v", 500)}},
					VolumeMounts: []corev1.VolumeMount{{Name: "kube-api-access-x", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}}},
				Volumes: []corev1.Volume{{Name: "kube-api-access-x", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &life, Path: "token"}}}}}}},
			},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &start, ContainerStatuses: []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: start}}}}},
		}
	}
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	rest := emptyCluster()
	rest.streams = true
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/api/v1/pods" {
			rest.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		if req.URL.Query().Get("watch") != "" {
			streamPods(t, w, serializer, pods, pod)
			return
		}
		limit, _ := strconv.Atoi(req.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(req.URL.Query().Get("continue"))
		list := &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
		to := min(from+limit, pods)
		if to < pods {
			list.Continue = strconv.Itoa(to)
		}
		for i := from; i < to; i++ {
			list.Items = append(list.Items, *pod(i))
		}
		if err := serializer.Encode(list, w); err != nil {
			t.Error(err)
		}
	})
}

// streamPods sends pods as a watch that begins with all of them.
func streamPods(t testing.TB, w http.ResponseWriter, serializer *protobuf.Serializer, pods int, pod func(int) *corev1.Pod) {
	enc := streaming.NewEncoder(protobuf.LengthDelimitedFramer.NewFrameWriter(w), protobuf.NewRawSerializer(scheme.Scheme, scheme.Scheme))
	send := func(kind watch.EventType, p *corev1.Pod) {
		var b bytes.Buffer
		if err := serializer.Encode(p, &b); err != nil {
			t.Error(err)
		}
		if err := enc.Encode(&metav1.WatchEvent{Type: string(kind), Object: kruntime.RawExtension{Raw: b.Bytes()}}); err != nil {
			t.Error(err)
		}
	}
	for i := range pods {
		send(watch.Added, pod(i))
	}
	end := &corev1.Pod{TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}}
	end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	send(watch.Bookmark, end)
}

// BenchmarkRead50kPods reads a cluster of 50,000 pods, as a stream and in pages. MiB-kept is what the
// snapshot holds on to; MiB-peak is the heap at its largest, the test's own
// server included.
func BenchmarkRead50kPods(b *testing.B) {
	b.Run("stream", func(b *testing.B) { benchmarkRead(b, bigCluster(b, 50_000)) })
	b.Run("pages", func(b *testing.B) {
		all := bigCluster(b, 50_000)
		benchmarkRead(b, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Query().Get("watch") != "" {
				refuse(w, http.StatusForbidden, "")
				return
			}
			all.ServeHTTP(w, req)
		}))
	})
}

func benchmarkRead(b *testing.B, cluster http.Handler) {
	s := httptest.NewServer(cluster)
	defer s.Close()
	c, err := newClient(&rest.Config{Host: s.URL, QPS: -1}, "big")
	if err != nil {
		b.Fatal(err)
	}
	var peak, kept uint64
	for b.Loop() {
		stop, done := make(chan bool), make(chan uint64)
		go func() {
			var m runtime.MemStats
			var high uint64
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					done <- high
					return
				case <-tick.C:
					runtime.ReadMemStats(&m)
					high = max(high, m.HeapInuse)
				}
			}
		}()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		snapshot, err := c.Read(b.Context(), nil)
		close(stop)
		peak = max(peak, <-done)
		if err != nil || len(snapshot.Pods) != 50_000 {
			b.Fatalf("%d pods, %v", len(snapshot.Pods), err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		kept = max(kept, after.HeapAlloc-min(after.HeapAlloc, before.HeapAlloc))
		runtime.KeepAlive(snapshot)
	}
	b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
	b.ReportMetric(float64(kept)/(1<<20), "MiB-kept")
	if peak > 256<<20 {
		b.Errorf("the heap grew to %d MiB, want at most 256", peak>>20)
	}
}
