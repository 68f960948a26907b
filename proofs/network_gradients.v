From mathcomp Require Import all_ssreflect all_algebra.
From nsn Require Import definitions norms gradients deep_network.
Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.
Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(******************************************************************************)
(* Networks (GRD-6): backward passes compose. Each stage passes a gradient    *)
(* back; then so does the chain, and a nested layer's own backward pass gives *)
(* the joint gradient of its parameters wherever in the chain it stands.      *)
(*                                                                            *)
(* passes_back f g == if dy is the gradient of a loss at f h, then g h dy is  *)
(*                   that of the loss of f at h          f_forward, f_backward*)
(*      run f k x == the result of the stages f 0, ..., f k.-1   Chain.forward*)
(* run_back f g k x dy == the gradient at x, from that at the result          *)
(*                                                              Chain.backward*)
(******************************************************************************)

Definition passes_back (F : rcfType) p q p' q'
    (f : 'M[F]_(p, q) -> 'M[F]_(p', q')) (g : 'M[F]_(p, q) -> 'M[F]_(p', q') -> 'M[F]_(p, q)) :=
  forall ell h dy, is_grad ell (f h) dy -> is_grad (fun x => ell (f x)) h (g h dy).

Section Network.

Variables (F : rcfType) (n : nat) (d : nat -> nat).
Variables (f : forall i, 'M[F]_(n, d i) -> 'M[F]_(n, d i.+1)).
Variables (g : forall i, 'M[F]_(n, d i) -> 'M[F]_(n, d i.+1) -> 'M[F]_(n, d i)).
Hypothesis fg : forall i, passes_back (@f i) (@g i).

Fixpoint run_back k (x : 'M[F]_(n, d 0)) : 'M[F]_(n, d k) -> 'M[F]_(n, d 0) :=
  if k is k'.+1 then fun dy => run_back x (g (run f k' x) dy) else id.

(* GRD-6. The backward passes of the stages, from the last to the first, give the gradient of a
   loss of the network's output at its input. *)
Theorem network_passes_back k : passes_back (run f k) (@run_back k).
Proof. by elim: k => [|k IH] ell x dy //= h; exact: (IH (fun y => ell (@f k y)) x _ (fg h)). Qed.

(* GRD-6. And in front of the stages stands a nested layer: its backward pass, from the gradient
   that they pass back to its output, gives the joint gradient in (x, A, B, b). *)
Theorem network_grad d_in R k (ell : 'M[F]_(n, d k) -> F) (x : 'M[F]_(n, d_in))
    (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d 0, R)) b r dy (y := nested_linear x A B b r) (dh := run_back y dy) :
  is_grad ell (run f k y) dy ->
  little_o (@size_of F d_in (d 0) R n) (fun D => let: (Dx, DA, DB, Db) := D in
    ell (run f k (nested_linear (x + Dx) (A + DA) (B + DB) (b + Db) r)) - ell (run f k y)
    - (frob (nested_linear_dx A B r dh) Dx + frob (nested_linear_dA x B r dh) DA
       + frob (nested_linear_dB x A r dh) DB + frob (nested_linear_db dh) Db)).
Proof. by move/network_passes_back/nested_linear_grad. Qed.

End Network.

(* GRD-6. A nested layer is such a stage. *)
Theorem nested_linear_passes_back (F : rcfType) n d_in d_out R (A : 'M[F]_(R, d_in)) (B : 'M[F]_(d_out, R)) b r :
  passes_back (fun x : 'M_(n, d_in) => nested_linear x A B b r) (fun _ dy => nested_linear_dx A B r dy).
Proof.
move=> ell x dy /nested_linear_grad h eps /h[delta d0 hd]; exists delta => // H.
have := hd (H, 0, 0, 0); rewrite /size_of !nrm0 !addr0 => hH Hd; have := hH Hd.
by rewrite /frob !mulmx0 !mxtrace0 !addr0.
Qed.
